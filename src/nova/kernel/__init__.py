"""What everything stands on: facts, ids, time, refusals, text and batching."""
