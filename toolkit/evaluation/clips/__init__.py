"""People over time on rendered clips: labels, metrics, and the comparison of filters."""
