"""The network in files that run without this code, each held to the network itself."""
