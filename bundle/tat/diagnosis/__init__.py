"""What a trained network makes of the tasks: gradients, representations, the course of training."""
