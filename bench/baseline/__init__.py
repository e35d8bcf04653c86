"""What Budgie is compared with: floors, the baseline implementation, other caches."""
