"""Automatic labels: 2D teacher detections, lifted and fitted poses, exact labels of renderings."""
