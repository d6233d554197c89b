// Package consumergroup is the state machine of Kafka's consumer rebalance protocol (KIP-848): the broker assigns the
// partitions, and members learn in their heartbeats what they have and what they must give up.
//
// Three numbers drive it. The group's epoch rises with whatever changes what members should have: who is in it, what
// they subscribe to, the topics. The epoch of the target is that for which the assignor last ran. A member's epoch is
// how far it came: it moves to the target's once it has given up what it must.
//
//	            ┌────────────── the target's epoch is newer ──────────────┐
//	            ▼                                                         │
//	must give up partitions ── its heartbeat says it has ──┬─▶ waits for others ── they gave up ──▶ stable
//	(epoch stays)                                          └──────────────────────────────────────▶
//
// A partition is given to a member only when no other has it or is still giving it up, so two never own one.
//
// A Group is kept in memory and in the records it says, which are Kafka's own: replaying them gives the same group. The
// package knows no disk, no clock and no lock; its caller brings them.
package consumergroup
