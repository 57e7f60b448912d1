"""Exact plans of points of equal mass by shortest augmenting paths, compiled: a batch in one call.

Where each source has the same mass, and each target too, masses are whole numbers of one unit. Then mass is sent one
source at a time along the shortest path of reduced costs C_ij - u_i - v_j, which stay at least 0 and are 0 where mass
flows; so the potentials prove the plan. (Jonker and Volgenant, Computing 38, 1987, for one unit a point; Ahuja, Magnanti
and Orlin, Network Flows, 1993, section 9.7.)
"""

from typing import Any, no_type_check

import numba
import numpy as np

_compiled: Any = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_compiled
@no_type_check
def equal_mass_plans(cost, src_units, tgt_units, flow, src_dual, tgt_dual):
    """Fill in units of mass and potentials of every problem; those without units stay 0.

    Parameters
    ----------
    cost : float64 array, shape (batch, src, tgt)
    src_units, tgt_units : int64 array, shape (batch, src) and (batch, tgt)
        Mass of every point in units, of equal sums; 0 for a point that is not there.
    flow : int64 array, shape (batch, src, tgt)
        0, and the plan in units afterwards.
    src_dual, tgt_dual : float64 array, shape (batch, src) and (batch, tgt)
        The potentials afterwards: u_i + v_j <= C_ij, with equality where mass flows.
    """
    for problem in range(len(cost)):
        rows, columns = np.flatnonzero(src_units[problem]), np.flatnonzero(tgt_units[problem])
        if len(rows):
            _solve(
                cost[problem],
                rows,
                columns,
                src_units[problem].copy(),
                tgt_units[problem].copy(),
                flow[problem],
                src_dual[problem],
                tgt_dual[problem],
            )


@_compiled
@no_type_check
def _solve(cost, rows, columns, supply, demand, flow, u, v):
    for j in columns:
        v[j] = np.inf
        for i in rows:
            v[j] = min(v[j], cost[i, j])
    for i in rows:
        u[i] = np.inf
        nearest = columns[0]
        for j in columns:
            if cost[i, j] - v[j] < u[i]:
                u[i], nearest = cost[i, j] - v[j], j
        amount = min(supply[i], demand[nearest])
        flow[i, nearest] = amount
        supply[i] -= amount
        demand[nearest] -= amount
    work = np.empty((2, max(len(u), len(v)))), np.empty((2, max(len(u), len(v))), np.int64), np.empty(len(v), np.bool_)
    for i in rows:
        while supply[i]:
            _send(cost, rows, columns, i, supply, demand, flow, u, v, work)


@_compiled
@no_type_check
def _send(cost, rows, columns, start, supply, demand, flow, u, v, work):
    """Send mass of one source along a shortest path (Dijkstra) to a target that still lacks some."""
    (distance, reached), (came_from, entered), scanned = work
    distance[:], reached[:], scanned[:] = np.inf, np.inf, False
    reached[start] = 0.0
    _relax(cost, start, columns, u, v, reached[start], distance, came_from, scanned)
    while True:
        end = -1
        for j in columns:
            if not scanned[j] and (end < 0 or distance[j] < distance[end]):
                end = j
        if demand[end]:
            break
        scanned[end] = True
        for i in rows:  # sources that could send elsewhere what they send here
            if flow[i, end] and reached[i] == np.inf:
                reached[i], entered[i] = distance[end], end
                _relax(cost, i, columns, u, v, reached[i], distance, came_from, scanned)
    length = distance[end]
    for i in rows:
        u[i] += max(length - reached[i], 0.0)
    for j in columns:
        v[j] -= max(length - distance[j], 0.0)
    amount, i = min(supply[start], demand[end]), came_from[end]
    while i != start:
        amount, i = min(amount, flow[i, entered[i]]), came_from[entered[i]]
    supply[start] -= amount
    demand[end] -= amount
    j, i = end, came_from[end]
    flow[i, j] += amount
    while i != start:
        j = entered[i]
        flow[i, j] -= amount
        i = came_from[j]
        flow[i, j] += amount


@_compiled
@no_type_check
def _relax(cost, row, columns, u, v, start, distance, came_from, scanned):
    """Bring the distances of targets down to what they are by way of a source."""
    for j in columns:
        if not scanned[j]:
            through = start + max(cost[row, j] - u[row] - v[j], 0.0)  # at least 0 but for rounding
            if through < distance[j]:
                distance[j], came_from[j] = through, row
