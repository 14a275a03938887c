workspace {
  model {
    customer = person "Customer"
    shop = softwareSystem "Shop" {
      web = container "Web" "Shows products" "Kotlin and a Kafka client"
      events = container "Events" "Orders as they happen" "Apache Kafka"
      mailer = container "Mailer" "Sends mails" "Go, Redis"
      sessions = container "Sessions" {
        technology "Redis"
      }
      store = container "Store" "Orders" "PostgreSQL 17"
    }
    customer -> web
    web -> events "publishes to"
    mailer -> events "subscribes to"
    web -> sessions
    web -> store
  }
}
