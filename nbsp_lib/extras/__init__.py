"""Parts for use in other projects, which no run here needs: masks on a torch network, the task cycle for gymnasium."""
