"""The dataset page's data: finding, choosing and changing many photos at once. Knows nothing of jobs or captions."""
