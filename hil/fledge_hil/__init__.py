"""fledge_hil: the virtual Crazyflie, the pilot that flies it or a real one, the report, and the command line."""
