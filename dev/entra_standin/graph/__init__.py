"""Microsoft's login and Microsoft Graph's synchronization API, built from their documentation and from reports.

``MicrosoftCloud`` is where to begin. ``login`` and ``client_assertions`` issue access tokens to ``registrations``;
``api`` finds the operation (``synchronization``, ``directory``) of a request and asks ``access`` for the right;
``applications`` hold ``credentials`` and ``jobs``, whose ``cycles`` are those of the stand-in's provisioning client;
``connection`` makes that client; ``views`` show all this as Graph does. ``behaviour`` chooses where sources contradict
each other, ``faults`` are planted by tests, ``request_log`` counts.
"""

from entra_standin.graph.applications import Application, Tenant
from entra_standin.graph.behaviour import Behaviour, SecretsPut
from entra_standin.graph.cloud import MicrosoftCloud
from entra_standin.graph.faults import GRAPH, LOGIN, Fault, Faults, Injection
from entra_standin.graph.jobs import Execution, ExecutionState, Job, ScheduleState
from entra_standin.graph.registrations import Caller, FederatedCredential
from entra_standin.graph.runner import JobRunner

__all__ = [
    "GRAPH",
    "LOGIN",
    "Application",
    "Behaviour",
    "Caller",
    "Execution",
    "ExecutionState",
    "Fault",
    "Faults",
    "FederatedCredential",
    "Injection",
    "Job",
    "JobRunner",
    "MicrosoftCloud",
    "ScheduleState",
    "SecretsPut",
    "Tenant",
]
