"""What every other room may use: images, weights, names, statistics, results."""
