"""The wire: protos and their conversions, the error table, the gRPC and HTTP servers."""
