#include "in_loop.h"

uint32_t in_loop_size(void) { return sizeof(struct injection); }

static void stop_motors(struct board_output *output) {
    for (int i = 0; i < 4; i++) output->motor_fraction[i] = 0.0f;
}

/* The clock of the flight code jumps: a tick in which the policy is off takes the jump, and releases a trip. */
void in_loop_set_mode(struct board *board, struct injection *injection, struct board_input *input,
                      struct board_output *output, uint32_t mode) {
    injection_set_mode(injection, mode <= HIL_SIMULATED ? (enum hil_mode)mode : HIL_OFF);
    input->flight.enable = input->motors_allowed = 0;
    board_step(board, input, output);
}

void in_loop_receive(struct injection *injection, struct board_channel *channel) {
    uint8_t reply[HIL_PACKET_MAX] = {0};
    const uint32_t length = channel->length <= sizeof channel->data ? channel->length : sizeof channel->data;
    channel->length = injection_receive(injection, channel->data, length, channel->now_us, reply);
    for (uint32_t i = 0; i < sizeof reply; i++) channel->data[i] = reply[i];
}

/* What only the stock controller reads: level, no turning. */
static void clear_attitude(struct board_input *input) {
    input->setpoint_attitude_deg[0] = input->setpoint_attitude_deg[1] = 0.0f;
    input->setpoint_yaw_deg = input->setpoint_yaw_rate_deg_s = input->setpoint_thrust_fraction = 0.0f;
    input->motors_allowed = 1;
}

void in_loop_step(struct board *board, struct injection *injection, struct plant *plant, struct board_input *input,
                  struct board_output *output, struct board_channel *channel) {
    const uint32_t simulated = injection->mode == HIL_SIMULATED;
    if (simulated && injection->starting) plant_init(plant);
    channel->length = 0;
    if (injection_tick(injection, channel->now_us, &input->flight)) {
        const uint32_t inferences = board->flight.inferences;
        if (simulated) {
            plant_sense(plant, &input->flight);
            input->flight.rotors_idle = plant_rotors_idle(plant);
        }
        clear_attitude(input);
        board_step(board, input, output);
        if (simulated) plant_step(plant, output->motor_fraction);
        const uint32_t inferred = board->flight.inferences != inferences;
        const struct injection_report report = {.flight = &output->flight,
                                                .motor_fraction = output->motor_fraction,
                                                .inference_us = inferred ? channel->inference_us : 0u,
                                                .tick_us = channel->tick_us};
        channel->length = injection_settle(injection, &report, channel->data);
    }
    stop_motors(output);
}
