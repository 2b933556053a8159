"""Files and frames in, tensors out; errors name the file, the row and the column."""
