"""The people of a video: identities, smoothing and velocities."""
