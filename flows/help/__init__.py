"""What helps besides the journeys: forgotten names, contact, helpdesk codes, an administrator's reset."""
