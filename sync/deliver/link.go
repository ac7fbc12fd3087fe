package deliver

import "context"

// A Link carries messages between a kiosk and the server. It may lose, repeat
// and reorder them. Package mqttlink is one; tests have a bad one.
type Link interface {
	// Publish sends one message. A nil error says that it left, not that it
	// arrived.
	Publish(ctx context.Context, topic string, payload []byte, retain bool) error
	// Subscribe has fn called with what arrives for filter until ctx ends. fn
	// must not block.
	Subscribe(ctx context.Context, filter string, fn func(topic string, payload []byte)) error
}
