"""Recordings for other programs: BVH and CSV from people.jsonl."""
