"""Who decides: roles and capacities, delegations, stand-ins, duties handed over, and what nobody
can decide.
"""
