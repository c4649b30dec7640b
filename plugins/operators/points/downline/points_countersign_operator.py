"""The second pair of approving eyes on a large downline."""

from __future__ import annotations

from drawsguard.approvals.model import Role
from operators.points.downline.points_downline_operator import PointsDownlineOperator


class PointsCountersignOperator(PointsDownlineOperator):
    """Ask for the countersignature that a downline above the configured size needs; smaller ones ask nobody.

    It proposes what the downline proposes, in another role: the role never acts, so nothing is carried out here.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet (templated).
    """

    role = Role.COUNTERSIGN
