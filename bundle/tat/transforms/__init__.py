"""What happens to a scan before the network, each with the way back beside it."""
