"""From raw text to the report: one folder a room, in the order in which the data walks.

Axis order everywhere: `attention[view, layer, tgt, src]`, `cost[layer, src, tgt]`; indices start at 0.
Layers of attention are 1 and up in every table and figure; layer 0 of a cost is the embedding layer.
"""
