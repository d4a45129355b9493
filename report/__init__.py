"""What is made of a results folder: comparisons, tables, plots, a page. No image, no model."""
