"""`/v1`: over HTTP what `cumulus.v1.Cumulus` is over gRPC. Routers over the ports, translating only."""
