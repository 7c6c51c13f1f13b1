"""From raw files to arrays that training trusts: proof of the data, packing, offline copies."""
