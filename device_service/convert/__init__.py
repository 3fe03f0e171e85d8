"""Between messages and the domain: `charge_points` and `commands` for operators."""
