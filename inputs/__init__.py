"""What is scored: images, their names, prompts, folders and the benchmark.yaml."""
