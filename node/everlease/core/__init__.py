"""Pure decisions: a packet, a view, a configuration and a time go in; an Action comes out."""
