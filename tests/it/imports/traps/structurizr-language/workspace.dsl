workspace "Shop" {
  !identifiers hierarchical
  model {
    u = person "Customer"
    shop = softwareSystem "Shop" {
      web = container "Web" "pages" "Rust" {
        ctl = component "Controller"
        ctl -> shop.db "reads"
      }
      db = container "Store" "rows" "Postgres" "Database"
      web -> db "reads" "SQL" "Asynchronous"
    }
    mail = softwareSystem "Mail"
    shop.web -> mail "sends"
    u -> shop.web "uses"
    live = deploymentEnvironment "Live" {
      deploymentNode "box" "" "" "" 3 {
        containerInstance shop.web
      }
    }
  }
  views {
    dynamic shop "buy" {
      u -> shop.web
      shop.web -> shop.db
    }
  }
}
