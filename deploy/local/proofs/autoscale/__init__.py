"""The scaling policy of the manifests over real worker processes."""
