"""Forecasters that several test files use."""

import pytest

from daily_series import H, daily, fitted, with_covariates
from elman.tasks.forecast.forecaster import Forecaster


@pytest.fixture(scope="session")
def model() -> Forecaster:
    return fitted(daily(), horizon=H)


@pytest.fixture(scope="session", params=["direct", "recursive"])
def covariate_model(request: pytest.FixtureRequest) -> Forecaster:
    columns = {"future": ["promo"], "static": ["town", "size"]}
    return fitted(with_covariates(daily()), horizon=H, mode=request.param, **columns)
