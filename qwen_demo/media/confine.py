"""What a decoding process may do once it has imported its library. Read by the workers with `runpy`,
because they import nothing of the package."""

import contextlib
import resource


def give_up_rights(job: dict) -> None:
    """No file, socket or core dump any more; at most `memory_bytes` and `cpu_s` of the job."""
    limits = {
        resource.RLIMIT_AS: job["memory_bytes"],
        resource.RLIMIT_CPU: job["cpu_s"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 3,  # stdin, stdout and stderr are all there will ever be
    }
    for limit, value in limits.items():
        # macOS knows RLIMIT_AS but does not take it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
