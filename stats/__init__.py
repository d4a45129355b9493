"""Intervals, tests and corrections; arrays in, numbers out."""
