"""What results say: comparisons, marks, gates, verdicts."""
