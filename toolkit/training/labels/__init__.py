"""Labels without annotation: teacher detections, fitted and lifted poses."""
