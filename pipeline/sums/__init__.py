"""Reading a large corpus for its sums: no block of a pair is kept but of a sample, on one machine or many.

`worker` what a process does with some rows · `engines` who does which rows · `gather` results put together, files.
"""
