"""Between messages and the domain: `api` for operators, `ocpp` for charge points."""
