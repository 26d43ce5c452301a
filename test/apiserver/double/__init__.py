# SPDX-License-Identifier: Apache-2.0
"""An API server for tests: the part of Kubernetes' API that kubectl and the agent use, in memory.

What a client can see is done as the real server does it: resource versions, pages, watches, Status
objects, discovery, tokens and roles. No controller runs behind it: nobody schedules a pod, fills an
EndpointSlice or gives a node an address. `apiserver` is the command, README.md says how it is used.
"""
