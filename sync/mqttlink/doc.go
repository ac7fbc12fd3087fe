// Package mqttlink carries messages over MQTT 3.1.1: it is what package deliver
// calls a Link, for kiosks and for the server's workers alike.
//
// It keeps one connection up, with full jitter between attempts, makes every
// subscription again after each, and never lets a slow receiver stop the
// connection: what a full queue cannot take is dropped, because every message
// of ours that matters comes again until a signed receipt answers it.
//
//	l, err := mqttlink.New(mqttlink.Options{URL: "tls://host:8883", ClientID: id, TLS: config})
//	go l.Run(ctx)
//	l.Subscribe(ctx, wire.Topic(id, wire.DownReceipt), fn)
//	l.Publish(ctx, wire.Topic(id, wire.UpBatch), envelope, false)
//
// The promise: nothing here claims delivery. A nil error of Publish says that a
// broker has answered. Sessions are clean and nothing is stored; package outbox
// is the store.
//
// paho's own loggers stay silent, because they print packets.
package mqttlink
