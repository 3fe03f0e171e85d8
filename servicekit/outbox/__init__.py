"""Events that leave a service: kept in the transaction of what they tell of, read in one order.

`table` keeps and orders them, `watch` hands them to those who watch, `cursor` says how far one of
them has come. Why no event can be skipped: ADR 13.
"""
