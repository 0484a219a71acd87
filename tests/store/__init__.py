"""The modules that know tables, against two engines: moto, and Amazon's own DynamoDB Local."""
