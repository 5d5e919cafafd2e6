"""The version of the bundle; both copies of metadata.json repeat it and a test holds them equal."""

VERSION = "0.2.0"
