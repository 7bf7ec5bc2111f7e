"""What is wrong with a closure or a flux: filters that flag, rates, checklists."""
