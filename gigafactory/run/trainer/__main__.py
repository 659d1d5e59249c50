"""`python -m gigafactory.run.trainer RUN`, under torchrun."""

from gigafactory.run.trainer.worker import run

if __name__ == "__main__":
    run()
