"""Release Taskchat to an AWS account: the code behind `make deploy`, `rollback`, `destroy`, `secrets`, `user`, `token`.

Runs on the machine of an operator or of CI, with their credentials. Nothing of it is deployed.
"""
