"""What people see, one module per journey; `blueprints` puts them into the application.

Read `reset` first. Handlers stay short: read the form, call a flow, answer. Rules live in `flows`.
"""
