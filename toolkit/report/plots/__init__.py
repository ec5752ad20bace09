"""Charts as SVG text: lines, points, bars and strips, without a plotting library."""
