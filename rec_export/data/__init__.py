"""From the user's files to arrays: columns, ids, features, splits, and the world as of a date."""
