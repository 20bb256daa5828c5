-- What the network took a measured sample for: its likeliest classes with their probabilities, likeliest first, as records
-- of a 32-bit class and a 32-bit float, little-endian. NULL in runs of before.
ALTER TABLE sample_steps ADD COLUMN likeliest BLOB;
