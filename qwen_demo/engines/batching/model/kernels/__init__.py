"""Triton kernels of the decode step. Imported on CUDA only; `checks.checked_step` says which may run.

Every kernel has a plain counterpart beside it: the lean decoder's own calls. A device on which a
kernel's results differ from the plain ones serves without it.
"""
